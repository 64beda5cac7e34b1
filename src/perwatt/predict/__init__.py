"""What a device and a model can do, before anything is measured: facts and the roofline."""
