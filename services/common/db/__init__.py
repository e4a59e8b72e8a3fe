"""The database: the truth about every order, image, e-mail and subscriber.

`engine` opens it, `models` are its tables, `clock` its time; the other modules are the statements that the services
make, by what they are about. Whoever changes an order's images, deliveries or e-mails locks the order's row first:
one order for all, so that PostgreSQL never finds a deadlock.
"""
