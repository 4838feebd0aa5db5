"""A text-to-image model small enough to ship with the tests, on which an edit can be measured against its truth."""
