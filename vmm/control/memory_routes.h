// The routes that look at a VM's memory, and steer its balloon and the merging of its pages.
#pragma once

#include "vmm/control/http.h"
#include "vmm/control/vm_service.h"

namespace twofold {

http::Response get_balloon(VmService& vm, const http::Request& request);
http::Response put_balloon(VmService& vm, const http::Request& request);
http::Response get_memory(VmService& vm, const http::Request& request);
http::Response get_merging(VmService& vm, const http::Request& request);
http::Response put_merging(VmService& vm, const http::Request& request);
http::Response get_metrics(VmService& vm, const http::Request& request);

}  // namespace twofold
