"""A typed, asynchronous client of Cisco's Presence Web Service (PWS), generated from its WSDL with zeep."""
