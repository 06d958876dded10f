"""What the profilers make of their files after the load."""

from pathlib import Path

from omrig.measured.profilers import registry
from omrig.model.plan import Plan
from omrig.model.run import Run
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.supervisor.display import Display


def make(folder: Path, plan: Plan, display: Display) -> None:
    """Have the profilers make what takes too long to be made by a measured process."""
    reporters = registry.reporters(plan.profiling.modes)
    run = Run.from_json(run_folder.read_json(folder / run_folder.RUN))
    one_process = run.transport.in_memory
    for name in plan.members if reporters else ():
        listed = run_folder.read_json(folder / name / run_folder.ARTEFACTS)
        if listed is None:
            # It was killed, or both sides were one process.
            continue
        display.say(f"{name}: making the reports of the profilers")
        for report in reporters:
            made = report(folder / name)
            listed += [each.listed(name, "both" if one_process else name) for each in made]
        writer.save_artefacts(folder / name, listed)
