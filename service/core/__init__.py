"""What is known of contacts, what happened to them, and who is held.

Decides what is true and how sure that is, without knowing where readings come from or who asks. May import the standard
library and the values of pws_soap (models, pidf); inside: clock < presence < events < claims < wiring. A new rule about
presence, events or claims belongs here; what speaks HTTP or SOAP does not. `engine` is the port through which the API
asks sync for a fetch, a status or another contact to watch.
"""
