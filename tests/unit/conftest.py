"""What all unit tests of one process share."""

from oslo_service import backend

# oslo.service chooses a backend for good, eventlet's where nobody has chosen before it is used, and
# omrig's commands want that of native threads: which test comes first must not decide.
backend.init_backend(backend.BackendType.THREADING)
