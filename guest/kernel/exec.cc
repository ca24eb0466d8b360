#include "guest/kernel/exec.h"

#include "guest/kernel/elf.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/initrd.h"
#include "guest/kernel/inspect.h"
#include "guest/kernel/process.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/string.h"
#include "guest/kernel/user_buffer.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {
namespace {

// The arguments on their way from one address space to the next. Lives in a page of its own.
struct Arguments {
  uint32_t count;
  uint32_t used;                               // bytes of `text`
  uint32_t offsets[guest_abi::kMaxArgs];       // of each string in `text`
  uint32_t pointers[guest_abi::kMaxArgs + 2];  // what goes onto the new stack: argc, argv, null
  char text[guest_abi::kMaxArgBytes];
};
static_assert(sizeof(Arguments) <= kPageSize);

int32_t read_arguments(AddressSpace& space, UserAddr argv, Arguments* arguments) {
  arguments->count = arguments->used = 0;
  for (;; ++arguments->count) {
    UserAddr string;
    const UserAddr slot = argv + arguments->count * sizeof(string);
    if (const int32_t error = copy_from_user(space, &string, slot, sizeof(string)); error != 0) return error;
    if (string == 0) return 0;
    if (arguments->count == guest_abi::kMaxArgs) return -guest_abi::kE2Big;
    const int32_t length = copy_string_from_user(space, arguments->text + arguments->used, string,
                                                 sizeof(arguments->text) - arguments->used, -guest_abi::kE2Big);
    if (length < 0) return length;
    arguments->offsets[arguments->count] = arguments->used;
    arguments->used += static_cast<uint32_t>(length) + 1;
  }
}

// Lays argc, argv and the strings out on the new stack; abi.h, "How a program starts".
int32_t push_arguments(AddressSpace& space, Arguments& arguments, UserAddr* stack_pointer) {
  const UserAddr strings = (kUserTop - arguments.used) & ~3u;
  const uint32_t words = arguments.count + 2;
  *stack_pointer = (strings - words * sizeof(uint32_t)) & ~15u;
  arguments.pointers[0] = arguments.count;
  for (uint32_t i = 0; i < arguments.count; ++i) arguments.pointers[i + 1] = strings + arguments.offsets[i];
  arguments.pointers[arguments.count + 1] = 0;
  if (const int32_t error = copy_to_user(space, strings, arguments.text, arguments.used); error != 0) return error;
  return copy_to_user(space, *stack_pointer, arguments.pointers, words * sizeof(uint32_t));
}

// Builds the new space beside the old one, and only then swaps them.
int32_t replace_program(Process& process, const char* path, Arguments& arguments) {
  const Node* node = nullptr;
  if (const int32_t error = initrd::look_up(path, &node); error != 0) return error;
  if (node->type == guest_abi::kFileDirectory) return -guest_abi::kEIsdir;
  if (node->type != guest_abi::kFileRegular) return -guest_abi::kENoexec;

  AddressSpace space;
  // What exec_process has made room for may be gone: it has slept over the arguments.
  while (!space.create()) {
    if (!reclaim::make_room(1)) return -guest_abi::kENomem;
  }
  UserAddr entry = 0;
  UserAddr stack_pointer = 0;
  int32_t error = load_elf(space, node->data, node->size, &entry);
  if (error == 0) error = push_arguments(space, arguments, &stack_pointer);
  if (error != 0) {
    space.destroy();
    return error;
  }
  inspect::remove(process);
  if (process.space.exists()) {
    space.load();
    process.space.destroy();
  }
  process.space = space;
  TrapFrame& frame = process.user_frame();
  frame = {};
  frame.ds = frame.es = frame.ss = kUserData;
  frame.cs = kUserCode;
  frame.eflags = x86::kFlagsReserved | x86::kFlagsInterrupt;
  frame.eip = entry;
  frame.esp = stack_pointer;
  set_process_name(process, path);
  inspect::update(process);
  return 0;
}

}  // namespace

int32_t exec_process(UserAddr path_address, UserAddr argv_address) {
  Process& self = current_process();
  constexpr uint32_t kFrames = 2;  // for the arguments, and a page directory
  if (!reclaim::make_room(kFrames)) return -guest_abi::kENomem;
  char path[guest_abi::kMaxPath];
  const int32_t length = copy_string_from_user(self.space, path, path_address, sizeof(path), -guest_abi::kENoent);
  if (length < 0) return length;
  auto* arguments = reinterpret_cast<Arguments*>(frames::allocate(frames::Use::kKernel));
  if (arguments == nullptr) return -guest_abi::kENomem;
  int32_t error = read_arguments(self.space, argv_address, arguments);
  if (error == 0) error = replace_program(self, path, *arguments);
  frames::free(to_physical(arguments));
  return error;
}

int32_t exec_first(Process& process, const char* path) {
  auto* arguments = reinterpret_cast<Arguments*>(frames::allocate(frames::Use::kKernel));
  if (arguments == nullptr) return -guest_abi::kENomem;
  arguments->count = 1;
  arguments->offsets[0] = 0;
  copy_string(arguments->text, path, sizeof(arguments->text));
  arguments->used = strlen(arguments->text) + 1;
  const int32_t error = replace_program(process, path, *arguments);
  frames::free(to_physical(arguments));
  return error;
}

}  // namespace twofold::kernel
