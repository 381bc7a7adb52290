"""One module a technology. Only `phonoloop.app` imports them."""
