"""Timings: plain and fast in one run, alternating, beside the least time that the machine could take."""
