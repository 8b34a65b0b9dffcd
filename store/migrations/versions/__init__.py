"""The steps, numbered. One that was released is never changed: the next one mends it."""
