"""What things cost, measured: ``python -m tests.benchmarks`` lists the benchmarks and runs those that are named.

A benchmark measures all that it compares in one run, taking turns, because one machine at two times is two machines.
"""
