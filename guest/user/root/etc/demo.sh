# The demo's session, as somebody might type it: sh -x /etc/demo.sh
ps
forktest 40
touchmem 8
free
