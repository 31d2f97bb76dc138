"""Applications: what the service does with what arrives.

Some are built in, and ``--application`` names them; one of your own derives from :class:`.Application`::

    # myapp.py, run with: twistd -n sip-p2p --application myapp:Greeter ...
    from sip_p2p.service.applications import Application

    class Greeter(Application):
        def started(self, endpoint):
            self.endpoint = endpoint

        async def message(self, event):
            if event.peer.identity != "b.example":
                return 403
            await self.endpoint.send_message(event.from_.uri, "hello yourself")
            return 202

        async def session(self, session):
            session.ring()
            await session.accept(answer_to(session.offer))

==================  ================================================================================================
module              what
==================  ================================================================================================
``base``            the base class of all of them
``loader``          an application from its name, and its newer version from a file that has changed
``setting``         what each of those that are built in is made with
``running``         the one that runs: it can be replaced while the service goes on
``log``             tells what happens, accepts messages, refuses sessions
``echo``            sends each text back, accepts each session and answers each offer with itself
``answer``          answers everything in one way that the command line says
``control``         leaves every session to the HTTP API
``forward``         passes everything on to another party, and its answers back
``bridge``          a session and the one that is established for it, until both stand
``crossing``        what happens within the two
``passing``         header fields and outcomes: what goes across, and what stays
==================  ================================================================================================
"""

from __future__ import annotations

from sip_p2p.service.applications.base import Answer, Application

__all__ = ["Answer", "Application"]
