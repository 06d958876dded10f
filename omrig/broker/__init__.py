"""The broker: a throw-away RabbitMQ of our own, the check before a run, the clean-up after it."""
