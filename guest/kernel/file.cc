#include "guest/kernel/file.h"

#include "guest/kernel/initrd.h"
#include "guest/kernel/pipe.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/user_buffer.h"

namespace twofold::kernel {
namespace {

constexpr uint32_t kMaxOpenFiles = 256;
constinit File files[kMaxOpenFiles]{};

int32_t read_regular(File& file, UserBuffer& buffer) {
  int32_t total = 0;
  while (buffer.remaining() > 0 && file.offset < file.node->size) {
    uint8_t* piece;
    uint32_t count;
    if (const int32_t error = buffer.next_piece(&piece, &count); error != 0) return total > 0 ? total : error;
    count = min(count, file.node->size - file.offset);
    memcpy(piece, file.node->data + file.offset, count);
    file.offset += count;
    buffer.consume(count);
    total += static_cast<int32_t>(count);
    if (!preempt_point()) break;
  }
  return total;
}

guest_abi::Dirent make_dirent(const Node& node) {
  guest_abi::Dirent entry{node.type, node.size, {}};
  const uint32_t length = min<uint32_t>(node.name_length, sizeof(entry.name) - 1);
  memcpy(entry.name, node.name, length);
  return entry;
}

int32_t read_directory(File& file, UserBuffer& buffer) {
  constexpr uint32_t kSize = sizeof(guest_abi::Dirent);
  if (buffer.remaining() < kSize) return -guest_abi::kEInval;
  const Node* child = file.node->first_child;
  for (uint32_t skip = file.offset / kSize; skip > 0 && child != nullptr; --skip) child = child->next_sibling;
  int32_t total = 0;
  for (; child != nullptr && buffer.remaining() >= kSize; child = child->next_sibling) {
    const guest_abi::Dirent entry = make_dirent(*child);
    if (const int32_t error = buffer.copy_out(&entry, kSize); error != 0) return total > 0 ? total : error;
    file.offset += kSize;
    total += kSize;
  }
  return total;
}

}  // namespace

File* allocate_file() {
  for (File& file : files) {
    if (file.references > 0) continue;
    file = {};
    file.references = 1;
    return &file;
  }
  return nullptr;
}

int32_t open_path(const char* path, uint32_t flags, File** file) {
  if (flags > guest_abi::kOpenReadWrite) return -guest_abi::kEInval;
  const Node* node = nullptr;
  if (const int32_t error = initrd::look_up(path, &node); error != 0) return error;
  const bool write = flags != guest_abi::kOpenRead;
  if (write && node->type == guest_abi::kFileDirectory) return -guest_abi::kEIsdir;
  if (write && node->type == guest_abi::kFileRegular) return -guest_abi::kERofs;
  *file = allocate_file();
  if (*file == nullptr) return -guest_abi::kEMfile;
  (*file)->type = node->type;
  (*file)->readable = flags != guest_abi::kOpenWrite;
  (*file)->writable = write;
  (*file)->node = node;
  return 0;
}

void close_file(File* file) {
  if (--file->references > 0) return;
  if (file->pipe != nullptr) close_pipe_end(file->pipe, file->writable);
  *file = {};
}

int32_t read_file(File& file, UserBuffer& buffer) {
  if (!file.readable) return -guest_abi::kEBadf;
  switch (file.type) {
    case guest_abi::kFileRegular:
      return read_regular(file, buffer);
    case guest_abi::kFileDirectory:
      return read_directory(file, buffer);
    case guest_abi::kFileDevice:
      return file.node->device->read(buffer);
    case guest_abi::kFilePipe:
      return read_pipe(*file.pipe, buffer);
  }
  return -guest_abi::kEBadf;
}

int32_t write_file(File& file, UserBuffer& buffer) {
  if (!file.writable) return -guest_abi::kEBadf;
  if (file.type == guest_abi::kFilePipe) return write_pipe(*file.pipe, buffer);
  return file.node->device->write(buffer);  // open_path gives no other file write permission
}

void stat_file(const File& file, guest_abi::Stat* stat) {
  *stat = {file.type, 0, 0};
  if (file.node == nullptr) return;
  stat->ino = file.node->ino;
  stat->size = file.node->size;
}

}  // namespace twofold::kernel
