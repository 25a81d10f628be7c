"""What happened, in one order with one numbering, and those who follow it.

Decides which events there are, how long they are kept, and when something can have changed merely because time passed.
May import presence. A new kind of event about contacts, or another way to follow them, belongs here.
"""
