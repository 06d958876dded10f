"""omrig: where did the time of my oslo.messaging message go, and whose fault is it?"""

__version__ = "0.1.0"
