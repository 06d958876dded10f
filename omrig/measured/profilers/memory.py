"""Mode `memory`: each side's memory over time and its growth per message, sampled from outside.

The supervisor takes the samples (``supervisor.sampler``) and the growth is fitted after the run
(``accounting.growth``): nothing happens in the measured process.
"""

from omrig.measured.profilers.none import NoProfiler
from omrig.measured.profilers.registry import ANY


class MemoryProfiler(NoProfiler):
    """`<side>/memory.dat` comes from the supervisor."""

    name = "memory"
    coexists_with = ANY
