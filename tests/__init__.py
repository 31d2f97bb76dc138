"""The tests of sip_p2p: each folder and file here mirrors one of the package.

Every test method says in one sentence what it shows, and carries the markers of the acceptance rows and fault classes
that it closes, as in ``row:K3`` or ``fault:A5``; ``docs/acceptance.rst`` and ``docs/faults.rst`` are written from them.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long it takes to draw an example says something of the machine, and nothing of what is tested.
settings.register_profile("sip_p2p", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sip_p2p")
