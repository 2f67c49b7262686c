"""The ``rkmpd`` process: wiring of the rooms, process life, signals, logging. No protocol rules live here."""
