"""The calls that endpoints made, as if producers and consumers of their own had recorded them."""

import dataclasses
from collections.abc import Iterator

from omrig.recordings import folder as run_folder
from omrig.recordings import messages, recording
from omrig.recordings.messages import Messages
from omrig.recordings.recording import Recording, Sides


def sides(consumer: Recording) -> Sides | None:
    """The two sides of the nested calls of a run, both of them in the consumers' processes; None
    where no endpoint made any."""
    found = [each for member in consumer.members for each in _sides(member)]
    return recording.held(recording.join(found)) if found else None


def _sides(member: Recording) -> Iterator[Recording]:
    calls = member.about.nested
    if calls is None:
        return
    about = dataclasses.replace(
        member.about,
        producer_id=calls.producer_id,
        sent=calls.sent,
        done=calls.done,
        errors=calls.errors,
        received=calls.received,
        duplicated=0,
        out_of_range=0,
        foreign=0,
        producers={},
    )
    yield dataclasses.replace(
        member,
        side="producer",
        about=about,
        messages=messages.read(member.folder, run_folder.NESTED) or Messages(),
        stamps_in=member.folder,
    )
    yield dataclasses.replace(member, about=about, messages=Messages())
