"""A function whose source a page shows, where it is the one that ran. Never to be changed."""


def hottest(numbers):
    """The sum of the squares, the slow way."""
    total = 0
    for number in numbers:
        if number < 0:
            continue
        total += number**2
    return total
