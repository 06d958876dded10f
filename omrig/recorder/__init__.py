"""What turns the instrument on in the processes of a service, and off again."""
