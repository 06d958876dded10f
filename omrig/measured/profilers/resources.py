"""Mode `resources`: what each process uses, sampled from outside.

The supervisor does it in every run (``supervisor.sampler``): asked for or not, nothing happens in
the measured process.
"""

from omrig.measured.profilers.none import NoProfiler
from omrig.measured.profilers.registry import ANY


class ResourcesProfiler(NoProfiler):
    """`<side>/resources.csv` and `broker/resources.csv` come from the supervisor."""

    name = "resources"
    coexists_with = ANY
