"""Every rule, in the order their findings are told. A rule knows arithmetic and no publication."""

from __future__ import annotations

from perwatt.audit.finding import Rule
from perwatt.audit.rules.at_rating import AtRating
from perwatt.audit.rules.comparison import Unlike
from perwatt.audit.rules.constant import ImpliedConstant
from perwatt.audit.rules.coverage import CoverageBound
from perwatt.audit.rules.decomposition import FactorsOfOneCell
from perwatt.audit.rules.denominators import Denominators
from perwatt.audit.rules.derived import Derived
from perwatt.audit.rules.device_watts import DeviceWatts
from perwatt.audit.rules.disagreement import Disagreement
from perwatt.audit.rules.extremes import Extremes
from perwatt.audit.rules.latency import ImpliedLatency
from perwatt.audit.rules.linear_savings import LinearSavings
from perwatt.audit.rules.local_cost import LocalCost
from perwatt.audit.rules.mixture import Mixtures
from perwatt.audit.rules.plausibility import Plausibility
from perwatt.audit.rules.possible import Possible
from perwatt.audit.rules.products import Products
from perwatt.audit.rules.ratios import Ratios
from perwatt.audit.rules.savings_bound import SavingsBound
from perwatt.audit.rules.shares import SharesOfCounts
from perwatt.audit.rules.statements import Statements
from perwatt.audit.rules.sums import Counts, Sums
from perwatt.audit.rules.systematic import Systematic

__all__ = ["RULES"]

RULES: tuple[Rule, ...] = (
    Possible(),
    Derived(),
    Systematic(),
    ImpliedConstant(),
    DeviceWatts(),
    Plausibility(),
    AtRating(),
    ImpliedLatency(),
    Ratios(),
    Products(),
    FactorsOfOneCell(),
    CoverageBound(),
    Disagreement(),
    Denominators(),
    Unlike(),
    LinearSavings(),
    SavingsBound(),
    LocalCost(),
    Mixtures(),
    Sums(),
    SharesOfCounts(),
    Counts(),
    Extremes(),
    Statements(),
)
