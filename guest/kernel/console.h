// /dev/console: the UART as a terminal with line editing.
//
// Backspace and DEL rub out a character, ^U the line, ^D ends the file, ^C drops the line and kills what the shell
// has started (process.h: kill_foreground). A line is at most 255 characters; more only ring the bell. Readers get
// a line at a time. When the finished lines that nobody has read fill their buffer, the device is simply not
// emptied further: input that a script pipes in waits at its source, and none of it is lost.
//
// Thread safety: the big kernel lock.
#pragma once

#include <stdint.h>

namespace twofold::kernel {

class UserBuffer;

namespace console {

int32_t read(UserBuffer& buffer);
int32_t write(UserBuffer& buffer);

// Takes what the UART has received. Called by its interrupt.
void take_input();

}  // namespace console
}  // namespace twofold::kernel
