"""The same requests as other tools would report them, under their names and by their formulas."""
