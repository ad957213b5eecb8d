# cmake -DMAPCTL=program -DIN=mapctl.1.in -DOUT=mapctl.1 -DVERSION=... -P manual.cmake: the manual page, with
# options and verbs as the program's own tables have them.
execute_process(COMMAND ${MAPCTL} --manual OUTPUT_VARIABLE VERBS COMMAND_ERROR_IS_FATAL ANY)
configure_file(${IN} ${OUT} @ONLY)
