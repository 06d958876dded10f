"""Which versions are measured: packages, Python and RabbitMQ, where they are not those at hand."""

import dataclasses

from omrig.model.option import option

NOTE = "omrig-environment.json"
"""The file of an environment that was made for a run: what was asked for, and what it came to."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Software:
    """What the measured processes are run with.

    ``requirements`` are as pip takes them: releases, folders of a checkout, ``git+`` URLs, wheels.
    ``rabbitmq`` is the embedded broker's, a version or a folder. What is empty is what the command
    itself runs with, and the RabbitMQ of this machine.
    """

    requirements: tuple[str, ...] = option(
        (),
        "--with",
        kind="list",
        metavar="REQUIREMENT",
        help="measure with this package, as pip takes it: oslo.messaging==18.1.0, a checkout's"
        " folder, git+file:///src@branch, a wheel; repeatable",
    )
    python: str = option(
        "",
        "--python",
        kind="text",
        metavar="VERSION",
        help="measure with this Python: 3.12, or the path of an interpreter",
    )
    rabbitmq: str = option(
        "",
        "--rabbitmq",
        kind="text",
        metavar="PATH|VERSION",
        help="start the embedded broker from this RabbitMQ: a folder to which a package or tarball"
        " was unpacked, or the version of one that is installed",
    )

    @property
    def has_environment(self) -> bool:
        """Whether the measured processes need an environment of their own."""
        return bool(self.requirements or self.python)
