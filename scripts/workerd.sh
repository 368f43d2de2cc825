#!/bin/sh
# Runs workerd so that it never outlives `npm start`: a server that was killed must let go of its port and its data.
# The process id goes into a file, for a clean stop asks workerd to finish what it has begun.
# Ctrl-C reaches every process of a terminal; it is npm start that stops workerd.
trap "" INT HUP
parent=$PPID
echo $$ > "$SLUICE_PID_FILE"
if command -v setpriv > /dev/null 2>&1 && setpriv --pdeathsig KILL true 2> /dev/null; then
  exec setpriv --pdeathsig KILL "$SLUICE_WORKERD" "$@"
fi
(while kill -0 "$parent" 2> /dev/null; do sleep 0.5; done; kill -9 $$) < /dev/null > /dev/null 2>&1 3>&- &
exec "$SLUICE_WORKERD" "$@"
