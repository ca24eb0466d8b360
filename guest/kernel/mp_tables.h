// Intel MultiProcessor Specification 1.4, chapter 4.
#pragma once

namespace twofold::kernel {

struct Platform;

// Fills in what the tables say. Returns false, and changes nothing, if there are none or they are broken.
bool read_mp_tables(Platform* platform);

}  // namespace twofold::kernel
