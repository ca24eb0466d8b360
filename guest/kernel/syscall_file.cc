// System calls on files. Contracts: guest/abi/abi.h.
#include "guest/kernel/file.h"
#include "guest/kernel/pipe.h"
#include "guest/kernel/process.h"
#include "guest/kernel/string.h"
#include "guest/kernel/syscall.h"
#include "guest/kernel/user_buffer.h"

namespace twofold::kernel {
namespace {

// Null if `descriptor` is not open.
File* find_file(uint32_t descriptor) {
  return descriptor < guest_abi::kMaxFiles ? current_process().files[descriptor] : nullptr;
}

// Gives `file` the lowest free descriptor; -kEMfile, and the file keeps its reference, if there is none.
int32_t install(File* file) {
  Process& self = current_process();
  for (uint32_t i = 0; i < guest_abi::kMaxFiles; ++i) {
    if (self.files[i] != nullptr) continue;
    self.files[i] = file;
    return static_cast<int32_t>(i);
  }
  return -guest_abi::kEMfile;
}

int32_t install_or_close(File* file) {
  const int32_t descriptor = install(file);
  if (descriptor < 0) close_file(file);
  return descriptor;
}

using Transfer = int32_t (*)(File& file, UserBuffer& buffer);

int32_t transfer(const SyscallArguments& arguments, Transfer action, Access access) {
  File* const file = find_file(arguments.first);
  if (file == nullptr) return -guest_abi::kEBadf;
  if (arguments.third > INT32_MAX) return -guest_abi::kEInval;  // the result could not say how much
  UserBuffer buffer(current_process().space, arguments.second, arguments.third, access);
  return action(*file, buffer);
}

}  // namespace

int32_t sys_open(const SyscallArguments& arguments) {
  char path[guest_abi::kMaxPath];
  const int32_t length =
      copy_string_from_user(current_process().space, path, arguments.first, sizeof(path), -guest_abi::kENoent);
  if (length < 0) return length;
  File* file = nullptr;
  if (const int32_t error = open_path(path, arguments.second, &file); error != 0) return error;
  return install_or_close(file);
}

// Reading a file writes the process's memory, and the other way round.
int32_t sys_read(const SyscallArguments& arguments) {
  return transfer(arguments, read_file, Access::kWrite);
}
int32_t sys_write(const SyscallArguments& arguments) {
  return transfer(arguments, write_file, Access::kRead);
}

int32_t sys_close(const SyscallArguments& arguments) {
  File* const file = find_file(arguments.first);
  if (file == nullptr) return -guest_abi::kEBadf;
  current_process().files[arguments.first] = nullptr;
  close_file(file);
  return 0;
}

int32_t sys_dup(const SyscallArguments& arguments) {
  File* const file = find_file(arguments.first);
  if (file == nullptr) return -guest_abi::kEBadf;
  const int32_t descriptor = install(file);
  if (descriptor >= 0) ++file->references;
  return descriptor;
}

int32_t sys_pipe(const SyscallArguments& arguments) {
  File* read_end = nullptr;
  File* write_end = nullptr;
  if (const int32_t error = create_pipe(&read_end, &write_end); error != 0) return error;
  Process& self = current_process();
  int32_t descriptors[2];
  descriptors[0] = install_or_close(read_end);
  if (descriptors[0] < 0) {
    close_file(write_end);
    return descriptors[0];
  }
  descriptors[1] = install_or_close(write_end);
  int32_t error = min(descriptors[1], 0);
  if (error == 0) error = copy_to_user(self.space, arguments.first, descriptors, sizeof(descriptors));
  if (error == 0) return 0;
  for (const int32_t descriptor : descriptors) {
    if (descriptor < 0) continue;
    close_file(self.files[descriptor]);
    self.files[descriptor] = nullptr;
  }
  return error;
}

int32_t sys_fstat(const SyscallArguments& arguments) {
  const File* const file = find_file(arguments.first);
  if (file == nullptr) return -guest_abi::kEBadf;
  guest_abi::Stat stat;
  stat_file(*file, &stat);
  return copy_to_user(current_process().space, arguments.second, &stat, sizeof(stat));
}

}  // namespace twofold::kernel
