"""Which boot of a machine this is."""

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What tells this boot of this machine from all others."""
    return _BOOT_ID.read_text().strip()
