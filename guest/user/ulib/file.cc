#include "guest/user/ulib/file.h"

#include "guest/user/ulib/heap.h"
#include "guest/user/ulib/syscall.h"

namespace ulib {

int32_t write_all(int32_t fd, const void* data, uint32_t size) {
  const auto* cursor = static_cast<const char*>(data);
  while (size > 0) {
    const int32_t written = write(fd, cursor, size);
    if (written < 0) return written;
    if (written == 0) return -guest_abi::kEIo;
    cursor += written;
    size -= static_cast<uint32_t>(written);
  }
  return 0;
}

int32_t read_all(int32_t fd, void* buffer, uint32_t size) {
  auto* cursor = static_cast<char*>(buffer);
  uint32_t left = size;
  while (left > 0) {
    const int32_t got = read(fd, cursor, left);
    if (got < 0) return got;
    if (got == 0) break;
    cursor += got;
    left -= static_cast<uint32_t>(got);
  }
  return static_cast<int32_t>(size - left);
}

int32_t read_line(int32_t fd, char* line, uint32_t capacity) {
  uint32_t size = 0;
  bool any = false;
  bool cut = false;
  char character = 0;
  // One byte at a time: what follows the line belongs to whoever reads next, maybe another process.
  while (read(fd, &character, 1) == 1) {
    any = true;
    if (character == '\n') break;
    if (size + 1 < capacity) {
      line[size++] = character;
    } else {
      cut = true;
    }
  }
  line[size] = '\0';
  if (!any) return -1;
  return cut ? -2 : static_cast<int32_t>(size);
}

char* load_file(const char* path, int32_t* error) {
  const int32_t fd = open(path, guest_abi::kOpenRead);
  if (fd < 0) {
    *error = fd;
    return nullptr;
  }
  guest_abi::Stat stat = {};
  int32_t result = fstat(fd, &stat);
  if (result == 0 && stat.type != guest_abi::kFileRegular) result = -guest_abi::kEIsdir;
  auto* text = result == 0 ? static_cast<char*>(allocate(stat.size + 1)) : nullptr;
  if (result == 0) result = text != nullptr ? read_all(fd, text, stat.size) : -guest_abi::kENomem;
  close(fd);
  if (text == nullptr || result < 0) {
    release(text);
    *error = result;
    return nullptr;
  }
  text[result] = '\0';
  return text;
}

}  // namespace ulib
