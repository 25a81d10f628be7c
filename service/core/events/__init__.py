"""What happened, in one order with one numbering, and those who follow it.

Decides which events there are, how long they are kept, and when something can have changed merely because time passed
(`validity`). May import presence. A new event is a frozen value, in `event` or in the room that it is about, and a call
of `EventLog.tell`; who gets it and how it looks is `service.api.writers.event`, its
description `service.api.routes.events`.
"""
