"""What the terminal shows of the synthetic recording, kept as it is to be.

A difference that is meant is accepted with ``python -m tests.unit.report.services.pins``, from the
top of the tree with ``tools`` in PYTHONPATH.
"""

from pathlib import Path

from omrig.report.terminal import services
from tools import synthetic_services

EXPECTED = Path(__file__).with_name("expected")

START = "call mistral_engine start_workflow"

PINS = {
    "80": (None, 80),
    "140": (None, 140),
    "start_workflow-80": (START, 80),
    "start_workflow-140": (START, 140),
}
"""By the name of its file: which method is shown, and the terminal's width."""


def shown(pin):
    method, width = PINS[pin]
    return services.text(synthetic_services.result(), method, width)


if __name__ == "__main__":
    for name in PINS:
        (EXPECTED / f"{name}.txt").write_text(shown(name), encoding="utf-8")
