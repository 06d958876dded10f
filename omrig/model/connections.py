"""What a measured process notes of its connections to the broker."""

OPENED = "opened"
"""It was made."""

CLOSED = "closed"
"""We closed it."""

LOST = "lost"
"""A read or a write found that it had ended."""
