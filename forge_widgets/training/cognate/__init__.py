"""A real training to watch: three small networks, the cognates, learn modular addition: first by heart, then the rule.

The contract's CognateCreatorIntegration is here; importing it loads no NumPy, training does.
"""

from forge_widgets.training.cognate.integration import CognateCreatorIntegration, CognateResult
from forge_widgets.training.cognate.settings import DEMO, QUICK, CognateSettings, for_mode

__all__ = ["DEMO", "QUICK", "CognateCreatorIntegration", "CognateResult", "CognateSettings", "for_mode"]
