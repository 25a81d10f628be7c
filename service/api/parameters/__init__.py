"""How requests are read: paths, queries, headers and bodies made into values of core, or refused with the reason.

May import core, access and the api's problems; knows no answers. A new parameter that several routes take, or a check
of one, belongs here; a parameter of one route stands beside that route.
"""
