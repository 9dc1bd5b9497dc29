// Certificates made by the test that needs them: nothing secret is in the tree, and nothing expires
// there.
#pragma once

#include <memory>
#include <string>

struct evp_pkey_st;
struct x509_st;

namespace stele::real {

struct TestCertificate {
  std::string common_name = "stele test";
  std::string organizational_unit;  // empty: none
  bool is_expired = false;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;
  ~TestAuthority();

  // Writes <directory>/<name>.pem, the certificate for "localhost" and 127.0.0.1,
  // <directory>/<name>-key.pem, its key, and both as <directory>/<name>.p12 with kPassword.
  void Issue(const std::string& directory, const std::string& name,
             const TestCertificate& certificate) const;

  // Writes the authority's own certificate.
  void WriteTo(const std::string& path) const;

  static constexpr char kPassword[] = "test-password";

 private:
  evp_pkey_st* key_;
  x509_st* certificate_;
};

}  // namespace stele::real
