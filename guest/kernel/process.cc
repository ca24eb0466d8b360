#include "guest/kernel/process.h"

#include "guest/kernel/exec.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/inspect.h"
#include "guest/kernel/print.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/string.h"
#include "guest/kernel/user_buffer.h"
#include "guest/kernel/x86.h"

namespace twofold::kernel {

constinit Process processes[guest_abi::kMaxProcs]{};

namespace {

Process* first_process = nullptr;
int32_t last_pid = 0;

bool pid_in_use(int32_t pid) {
  for (const Process& process : processes) {
    if (process.pid == pid) return true;
  }
  return false;
}

int32_t new_pid() {
  do {
    last_pid = last_pid == INT32_MAX ? 1 : last_pid + 1;
  } while (pid_in_use(last_pid));
  return last_pid;
}

// Where a new process begins: on its own stack, in the kernel, as if back from switch_context. Returns into
// trap_return, which finds the process's TrapFrame next on the stack.
extern "C" void begin_process() {
  big_kernel_lock.release();
}

// A table entry with a pid and a kernel stack, on which it will start in `start`. Null if out of either.
Process* allocate_process(void (*start)()) {
  for (Process& process : processes) {
    if (process.pid != 0) continue;
    auto* stack = reinterpret_cast<KernelStack*>(frames::allocate(frames::Use::kKernel));
    if (stack == nullptr) return nullptr;
    process = {};
    process.pid = new_pid();
    process.state = guest_abi::kProcEmbryo;
    process.stack = stack;
    stack->canary = kStackCanary;

    auto* resume = reinterpret_cast<uint32_t*>(&process.user_frame());
    *--resume = reinterpret_cast<uint32_t>(trap_return);
    process.context = reinterpret_cast<Context*>(resume) - 1;
    *process.context = {0, 0, 0, 0, reinterpret_cast<uint32_t>(start)};
    return &process;
  }
  return nullptr;
}

void free_process(Process& process) {
  process.space.destroy();
  frames::free(to_physical(process.stack));
  process = {};
}

void close_files(Process& process) {
  for (File*& file : process.files) {
    if (file != nullptr) close_file(file);
    file = nullptr;
  }
}

// Frees a zombie, once its status is where the current process wants it.
int32_t reap(Process& zombie, UserAddr status_address) {
  const int32_t pid = zombie.pid;
  const int32_t status = zombie.exit_status;
  if (status_address != 0) {
    const int32_t error = copy_to_user(current_process().space, status_address, &status, sizeof(status));
    if (error != 0) return error;
  }
  free_process(zombie);
  return pid;
}

}  // namespace

void set_process_name(Process& process, const char* path) {
  const char* name = path;
  for (const char* cursor = path; *cursor != '\0'; ++cursor) {
    if (*cursor == '/' && cursor[1] != '\0') name = cursor + 1;
  }
  copy_string(process.name, name, sizeof(process.name));
}

void create_first_process() {
  Process* const process = allocate_process(begin_process);
  if (process == nullptr) PANIC("no memory for the first process");
  static constexpr const char* kPrograms[] = {"/init", "/bin/sh"};
  int32_t errors[2] = {0, 0};
  for (uint32_t i = 0; i < 2; ++i) {
    errors[i] = exec_first(*process, kPrograms[i]);
    if (errors[i] != 0) continue;
    first_process = process;
    make_runnable(*process);
    return;
  }
  PANIC("no first process: /init gives error %d, /bin/sh gives error %d; is there an initrd (%u bytes)?", -errors[0],
        -errors[1], ram::initrd_size());
}

void create_kernel_thread(const char* name, void (*main)()) {
  Process* const process = allocate_process(main);
  if (process == nullptr) PANIC("no memory for the kernel thread %s", name);
  process->kernel_thread = true;
  copy_string(process->name, name, sizeof(process->name));
  make_runnable(*process);
}

int32_t fork_process() {
  Process& parent = current_process();
  constexpr uint32_t kFixedFrames = 2;  // page directory and kernel stack
  if (!reclaim::make_room(parent.space.page_tables() + kFixedFrames)) return -guest_abi::kENomem;
  Process* const child = allocate_process(begin_process);
  if (child == nullptr) return -guest_abi::kEAgain;
  if (!child->space.create_copy_of(parent.space)) {
    free_process(*child);
    return -guest_abi::kENomem;
  }
  child->parent = &parent;
  child->leader = &parent == first_process;
  child->user_frame() = parent.user_frame();
  child->user_frame().eax = 0;
  for (uint32_t i = 0; i < guest_abi::kMaxFiles; ++i) {
    child->files[i] = parent.files[i];
    if (child->files[i] != nullptr) ++child->files[i]->references;
  }
  copy_string(child->name, parent.name, sizeof(child->name));
  inspect::update(*child);
  make_runnable(*child);
  reclaim::notice_allocation();
  return child->pid;
}

void exit_process(int32_t status) {
  Process& self = current_process();
  if (&self == first_process) PANIC("the first process (%s) ended with status %d", self.name, status);
  close_files(self);
  inspect::remove(self);
  self.space.destroy();
  for (Process& process : processes) {
    if (process.parent != &self) continue;
    process.parent = first_process;
    if (process.state == guest_abi::kProcZombie) wake_up(first_process);
  }
  self.exit_status = status;
  self.state = guest_abi::kProcZombie;
  wake_up(self.parent);
  schedule();
  PANIC("pid %d runs after its end", self.pid);
}

int32_t wait_for_child(UserAddr status_address) {
  Process& self = current_process();
  for (;;) {
    bool any = false;
    for (Process& child : processes) {
      if (child.pid == 0 || child.parent != &self) continue;
      any = true;
      if (child.state == guest_abi::kProcZombie) return reap(child, status_address);
    }
    if (!any) return -guest_abi::kEChild;
    if (!sleep_on(&self)) return -guest_abi::kEChild;
  }
}

bool may_be_killed(const Process& process) {
  return process.pid != 0 && process.state != guest_abi::kProcZombie && &process != first_process &&
         !process.kernel_thread;
}

int32_t kill_process(int32_t pid) {
  for (Process& process : processes) {
    if (process.pid != pid || pid <= 0 || process.state == guest_abi::kProcZombie) continue;
    if (!may_be_killed(process)) return -guest_abi::kEInval;
    process.killed = true;
    if (process.state == guest_abi::kProcSleeping) make_runnable(process);
    return 0;
  }
  return -guest_abi::kENoent;
}

void kill_foreground() {
  for (const Process& process : processes) {
    if (!may_be_killed(process) || process.leader) continue;
    kill_process(process.pid);
  }
}

}  // namespace twofold::kernel
