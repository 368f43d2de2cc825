#!/bin/sh
# Runs workerd so that it never outlives `npm start`: a server that was killed must let go of its port and its data.
# The process id goes into a file, for a clean stop asks workerd to finish what it has begun.
# Ctrl-C reaches every process of a terminal; it is npm start that stops workerd.
trap "" INT HUP
# Leaves rseq to workerd's allocator, which then keeps free memory by processor and not by thread: 40 MB less
# (https://github.com/google/tcmalloc/blob/master/docs/rseq.md).
export GLIBC_TUNABLES="${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}glibc.pthread.rseq=0"
parent=$PPID
echo $$ > "$SLUICE_PID_FILE"
if command -v setpriv > /dev/null 2>&1 && setpriv --pdeathsig KILL true 2> /dev/null; then
  exec setpriv --pdeathsig KILL "$SLUICE_WORKERD" "$@"
fi
(while kill -0 "$parent" 2> /dev/null; do sleep 0.5; done; kill -9 $$) < /dev/null > /dev/null 2>&1 3>&- &
exec "$SLUICE_WORKERD" "$@"
