"""The working world of each Economic Index category, as the templates need it.

Names of the 22 categories as printed in the study (arXiv 2511.07885, appendix Tab 4).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DOMAINS", "NAMES", "Domain"]


class Domain(NamedTuple):
    """Words for one category. Things are plural; dropping the last letter gives the singular."""

    category: str
    role: str
    place: str
    things: tuple[str, str, str]
    city: str

    @property
    def a_role(self) -> str:
        return f"{'an' if self.role[0] in 'aeiou' else 'a'} {self.role}"


DOMAINS = (
    Domain(
        "Computer and mathematical",
        "programmer",
        "data center",
        ("servers", "laptops", "screens"),
        "Oslo",
    ),
    Domain(
        "Arts, design, sports, entertainment, media",
        "painter",
        "theater",
        ("posters", "guitars", "costumes"),
        "Milan",
    ),
    Domain(
        "Life, physical, social science",
        "chemist",
        "laboratory",
        ("samples", "microscopes", "magnets"),
        "Geneva",
    ),
    Domain(
        "Education instruction and library",
        "teacher",
        "school",
        ("books", "pencils", "desks"),
        "Dublin",
    ),
    Domain(
        "Architecture and engineering",
        "architect",
        "design office",
        ("drawings", "models", "sensors"),
        "Vienna",
    ),
    Domain(
        "Business and financial", "accountant", "bank", ("invoices", "loans", "receipts"), "Zurich"
    ),
    Domain(
        "Healthcare practitioners/technical",
        "nurse",
        "hospital",
        ("bandages", "gloves", "blankets"),
        "Lisbon",
    ),
    Domain(
        "Office/admin", "secretary", "front office", ("letters", "folders", "printers"), "Boston"
    ),
    Domain("Legal", "lawyer", "law firm", ("contracts", "permits", "files"), "Madrid"),
    Domain(
        "Community/social", "social worker", "shelter", ("beds", "coats", "donations"), "Chicago"
    ),
    Domain("Transportation", "driver", "bus station", ("buses", "tickets", "parcels"), "Hamburg"),
    Domain("Sales", "cashier", "shoe shop", ("coupons", "boots", "socks"), "Athens"),
    Domain("Food", "cook", "bakery", ("cakes", "pies", "rolls"), "Naples"),
    Domain(
        "General management", "manager", "head office", ("reports", "projects", "budgets"), "London"
    ),
    Domain(
        "Installation/maintenance", "mechanic", "garage", ("tires", "filters", "pumps"), "Detroit"
    ),
    Domain("Farming", "farmer", "farm", ("cows", "hens", "goats"), "Perth"),
    Domain(
        "Protective service",
        "firefighter",
        "fire station",
        ("hoses", "helmets", "alarms"),
        "Denver",
    ),
    Domain("Construction", "builder", "building site", ("bricks", "ladders", "beams"), "Cairo"),
    Domain(
        "Healthcare support",
        "caregiver",
        "care home",
        ("wheelchairs", "pillows", "towels"),
        "Helsinki",
    ),
    Domain("Production", "welder", "factory", ("bolts", "crates", "motors"), "Turin"),
    Domain("Personal care", "barber", "salon", ("combs", "mirrors", "chairs"), "Lyon"),
    Domain("Building grounds", "gardener", "park", ("roses", "benches", "trees"), "Kyoto"),
)

NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Frank", "Grace", "Henry", "Iris", "Jack", "Karen",
    "Leo", "Maria", "Noah", "Olga", "Peter", "Rosa", "Sam", "Tina", "Victor", "Wendy", "Zoe",
)  # fmt: skip
