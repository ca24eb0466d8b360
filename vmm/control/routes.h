// The control socket's routes: a request in, a reply out, through one VmService. No sockets here.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vmm/control/http.h"
#include "vmm/control/vm_service.h"

namespace twofold {

// Answers one request. What is wrong with it is found before the VM is touched, so a 4xx means that nothing changed.
[[nodiscard]] http::Response handle_request(VmService& vm, const http::Request& request);

// "GET /vm", "PUT /vm/state", …: every route there is.
[[nodiscard]] std::vector<std::string> route_names();

// GET /vm's body.
[[nodiscard]] nlohmann::json to_json(const VmInfo& info);

}  // namespace twofold
