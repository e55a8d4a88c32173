"""What every plugin of a kind must do, as test suites that ship with Pizzeria; for built-in plugins and for yours."""
