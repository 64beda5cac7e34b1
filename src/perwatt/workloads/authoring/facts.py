"""Knowledge, written by hand: three questions for each category, level 1 to 3.

A row is question | answer | other right answers …; facts are free, the wording is perwatt's own.
"""

from __future__ import annotations

__all__ = ["FACTS"]

FACTS: dict[str, tuple[str, str, str]] = {
    "Computer and mathematical": (
        "How many sides does a triangle have?|three|3",
        "What does the abbreviation CPU stand for?|central processing unit",
        "Which data structure gives back first what was added last?|stack",
    ),
    "Arts, design, sports, entertainment, media": (
        "Who painted the Mona Lisa?|Leonardo da Vinci|Leonardo|da Vinci",
        "Who wrote the play Romeo and Juliet?|Shakespeare|William Shakespeare",
        "Who composed the opera The Magic Flute?|Mozart|Wolfgang Amadeus Mozart",
    ),
    "Life, physical, social science": (
        "What is the chemical formula of water?|H2O|H₂O",
        "Which planet is the largest in our solar system?|Jupiter",
        "Which particle in an atom carries no electric charge?|neutron|neutrons",
    ),
    "Education instruction and library": (
        "How many letters are in the English alphabet?|26|twenty-six|twenty six",
        "What do we call a building where people borrow books?|library",
        "Which system sorts library books by numbers from 000 to 999?"
        "|Dewey|Dewey Decimal Classification|Dewey Decimal System",
    ),
    "Architecture and engineering": (
        "In which city does the Eiffel Tower stand?|Paris",
        "What is the SI unit of force?|newton|newtons",
        "What is the SI unit of electrical resistance?|ohm|ohms|Ω",
    ),
    "Business and financial": (
        "What is the currency of Japan?|yen|Japanese yen",
        "What do we call the share of profit that a company pays to its shareholders?"
        "|dividend|dividends",
        "In accounting, assets equal liabilities plus what?|equity|owner's equity|capital",
    ),
    "Healthcare practitioners/technical": (
        "Which organ pumps blood through the body?|heart",
        "Which vitamin does the skin make in sunlight?|vitamin D",
        "Which organ makes insulin?|pancreas",
    ),
    "Office/admin": (
        "How many days are in a week?|seven|7",
        "What does the abbreviation FAQ stand for?|frequently asked questions",
        "In a spreadsheet, what is the cell in column B and row 3 called?|B3",
    ),
    "Legal": (
        "What do we call the person who leads a trial in court?|judge",
        "What do we call the group of citizens that decides a verdict in court?|jury",
        "Which Latin phrase means friend of the court?|amicus curiae",
    ),
    "Community/social": (
        "What is the holy book of Christians called?|Bible|Holy Bible",
        "What do we call a person who helps others without being paid?|volunteer|volunteers",
        "Who founded the Red Cross movement?|Dunant|Henry Dunant|Henri Dunant",
    ),
    "Transportation": (
        "Which vehicle runs on rails and stops at stations?|train|trains|tram",
        "Which ocean lies between Europe and North America?|Atlantic|Atlantic Ocean",
        "Which canal joins the Mediterranean Sea and the Red Sea?|Suez|Suez Canal",
    ),
    "Sales": (
        "How many cents are in one dollar?|100|one hundred",
        "What do we call a reduction of the usual price?|discount|sale|markdown|price reduction",
        "What does the abbreviation B2B stand for?|business to business|business-to-business",
    ),
    "Food": (
        "Which sweet food do bees make?|honey",
        "Which grain is used to make sushi?|rice",
        "Which spice is gathered from crocus flowers?|saffron",
    ),
    "General management": (
        "What does the abbreviation CEO stand for?|chief executive officer",
        "What does the abbreviation HR stand for in a company?|human resources",
        "In a SWOT analysis, what does the letter T stand for?|threats|threat",
    ),
    "Installation/maintenance": (
        "Which tool drives nails into wood?|hammer|nail gun",
        "Which tool is used to turn screws?|screwdriver",
        "Which instrument measures voltage, current and resistance?|multimeter",
    ),
    "Farming": (
        "Which farm animal gives us wool?|sheep",
        "Which animal gives the milk that most cheese is made from?|cow|cows",
        "Which plant nutrient has the chemical symbol N?|nitrogen",
    ),
    "Protective service": (
        "What is the job of a person who puts out fires?|firefighter|firefighters|fireman",
        "Which gas in the air does a fire need to burn?|oxygen",
        "Which gas is in the extinguishers used on electrical fires?|carbon dioxide|CO2",
    ),
    "Construction": (
        "Which clear material are windows made of?|glass",
        "Which material is made of cement, sand, gravel and water?|concrete",
        "Which mineral is the core of plasterboard?|gypsum",
    ),
    "Healthcare support": (
        "What color is human blood?|red",
        "What is normal body temperature in degrees Celsius, as a whole number?|37",
        "Which joint joins the thigh bone to the shin bone?|knee|knee joint",
    ),
    "Production": (
        "Which material from trees is paper made of?|wood|wood pulp|pulp|cellulose",
        "Which metal is steel mostly made of?|iron",
        "Brass is an alloy of copper and which other metal?|zinc",
    ),
    "Personal care": (
        "Which tool do people use to clean their teeth?|toothbrush|toothpaste|tooth brush",
        "What does a barber cut?|hair",
        "Which protein are hair and nails made of?|keratin",
    ),
    "Building grounds": (
        "What color is healthy grass?|green",
        "Which machine is used to cut a lawn?|lawn mower|mower|lawnmower",
        "Which gas do plants take from the air for photosynthesis?|carbon dioxide|CO2",
    ),
}
