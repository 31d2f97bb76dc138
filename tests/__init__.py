"""The tests of sip_p2p: each folder and file here mirrors one of the package.

Every test method says in one sentence what it shows, and carries the markers of the acceptance rows and fault classes
that it closes, as in ``row:K3`` or ``fault:A5``; ``docs/acceptance.rst`` and ``docs/faults.rst`` are written from them.
"""
