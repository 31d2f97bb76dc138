"""What is wrong, found before somebody else finds it: ``--check`` and the doctor, who say it in one form.

==================  ====================================================================================================
module              what
==================  ====================================================================================================
``check``           ``--check``: everything looked at and explained, nothing bound
``check_identity``  its words on names, passwords, registration and signatures
``check_lives``     its words on the outbox, event packages and subscriptions
``check_options``   its words on each option, and on files
``check_parts``     its words on what stands beside the party
``diagnosis``       what is wrong, from what ``doctor``, ``listener_check`` and ``probing`` have seen; values only
``doctor``          ``doctor``, on the way to a peer
``findings``        what was looked at and what is so, for ``check`` and ``doctor``
``listener_check``  ``doctor``, for a listener
``probing``         what answers on a port, and what TLS there asks for
==================  ====================================================================================================
"""
