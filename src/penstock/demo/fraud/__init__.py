"""The claims office: motor claims come in, fraud is found out late, and the ring behind some of it changes its ways."""
