# The shortest proof of life: a program, a pipe, a file, and the shell's own logic.
echo one two | cat > /dev/console || exit 1
cat < /etc/motd > /dev/console || exit 2
ls /bin && ps && free || exit 3
false && exit 4
sh -c 'exit 7'; echo "status $?"
