"""The database: the source of truth about orders, images, e-mails and subscribers. All SQL is here.

`engine` opens it, `models` are its tables, `clock` is its time; the other modules are statements, by their subject.
A transaction that changes an order's images, deliveries or e-mails locks the order's row first: one lock order for
all, so that PostgreSQL never finds a deadlock.
"""
